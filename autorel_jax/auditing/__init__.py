"""Auditing: classifiers, texts and limits -> what can be checked later, and what holds or does not.

verdict.py is the shared piece: findings, their lines, exit codes and JUnit XML.
"""
