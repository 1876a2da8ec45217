"""A fine-tuning in a process of its own, which waits after a step so that it can be killed there."""

CODE = """
import sys, time, torch
from pathlib import Path
from configs.finetuning import FinetuningConfig
from lm_modules.training import trainer
from lm_modules.training.finetuning import finetune
torch.set_num_threads(1)
trainer.WORTHWHILE_SPEEDUP = 1e9  # the first process of each would time for itself which precision is faster
def report(step, values):
    if "validation/loss" not in values:
        return False
    print(step, flush=True)
    if step >= int(sys.argv[5]):
        time.sleep(600)
    return False
config = FinetuningConfig.model_validate_json(sys.argv[1])
finetune(config, base=sys.argv[2], data=Path(sys.argv[3]), workdir=Path(sys.argv[4]), seed=3, report=report)
"""
