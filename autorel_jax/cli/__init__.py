"""The commands: flags -> what the library does.

main.py is `autorel`, whose table lists the commands; explain.py, train.py, convert.py and export.py are one each, with
`main(argv, prog) -> exit code`. command.py runs them: a fault of the input is one line. flags.py makes flags from the
fields of a config.
"""
