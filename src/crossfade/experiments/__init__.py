"""What is done with trainings: compared, checked, given fewer pictures or another rate, evaluated, tuned.

statistics.py says what may be concluded from several; probe.py makes short ones of which nothing is kept.
"""
