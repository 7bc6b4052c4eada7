"""Attribution: a batch and a target -> a score of every token, by LRP or another method."""
