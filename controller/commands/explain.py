"""`sigward explain`: why would these images be admitted or refused?"""

import argparse
from typing import Final

from controller.commands import judging, options
from controller.commands.saying import say, style

_EXAMPLES: Final = """\
  sigward explain registry.example.com/shop/web:1.4 --policy policies/
  sigward explain registry.example.com/shop/web:1.4 --policy policies/ --namespace shop --config sigward.yaml
  sigward explain -f deploy.yaml --policy policies/
  sigward explain registry.example.com/shop/web:1.4 --key cosign.pub --output json

exit status: as `sigward verify`
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser,
        "Judge as `verify` does and show everything: image, policy, requirement, authority, check, expected against found.",
        _EXAMPLES,
    )
    judging.add_images(parser)
    options.add_trust(parser)
    options.add_place(parser)
    options.add_registry(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain; returns the exit status of the judgement.

    Raises:
        SigwardError: The work could not be done.
    """
    settings = options.settings(arguments)
    asked = judging.question(arguments, settings)
    answers = judging.answer(arguments, asked, judging.snapshot(arguments, asked, settings), settings)
    document = judging.document(answers)
    say(document, judging.text(answers, style(), brief=False), arguments)
    judging.tell_of_others(asked)
    judging.tell_of_unmatched(answers, arguments)
    return document.exit_code
