"""The next job: is the evaluator the one that was sent?"""

import judge

print("clean" if judge.score() == 0.0 else "POISONED:")
