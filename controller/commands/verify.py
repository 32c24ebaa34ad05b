"""`sigward verify`: would these images be admitted?"""

import argparse
from typing import Final

from controller.commands import judging, options, session, trust
from controller.commands.saying import say, style
from controller.errors import Code, Invalid
from controller.policy.store import Document

_EXAMPLES: Final = """\
  sigward verify registry.example.com/shop/web:1.4 --key cosign.pub
  sigward verify registry.example.com/shop/web:1.4 --key alice.pub --key bob.pub --threshold 2
  sigward verify registry.example.com/shop/web:1.4 --key cosign.pub --attestation-type cyclonedx
  sigward verify registry.example.com/shop/web:1.4 \\
    --certificate-identity https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com
  sigward verify registry.example.com/shop/web:1.4 --key cosign.pub --print-policy > policies/web.yaml
  helm template shop charts/shop | sigward verify -f - --policy policies/ --namespace shop
  sigward verify -f manifests/ --policy policies/ --output json
  sigward verify 127.0.0.1:5000/web:1 --key cosign.pub --insecure-registry 127.0.0.1:5000

exit status: 0 every image would be admitted (warnings included), 1 at least one is refused,
             2 wrong usage or input, 3 none is refused but at least one is undecided (ask again)
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser, "Judge images as the webhook would: the same policies, the same registry client, the same answer.", _EXAMPLES
    )
    judging.add_images(parser)
    options.add_trust(parser)
    options.add_place(parser)
    options.add_registry(parser)
    options.add_output(parser)
    parser.add_argument(
        "--print-policy",
        action="store_true",
        help="print the ClusterTrustPolicy that says what the flags say, and judge nothing",
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify; returns the exit status.

    Raises:
        SigwardError: The work could not be done.
    """
    if arguments.print_policy:
        return _print_policy(arguments)
    settings = options.settings(arguments)
    asked = judging.question(arguments, settings)
    answers = judging.answer(arguments, asked, judging.snapshot(arguments, asked, settings), settings)
    document = judging.document(answers)
    say(document, judging.text(answers, style(), brief=True), arguments)
    judging.tell_of_others(asked)
    judging.tell_of_unmatched(answers, arguments)
    return document.exit_code


def _print_policy(arguments: argparse.Namespace) -> int:
    limits = options.settings(arguments).limits
    trusted = options.trusted(arguments, limits)
    if trusted is None:
        raise Invalid(Code.INVALID_POLICY, "prints the policy that --key says; --policy is one", field="--print-policy")
    documents = trust.documents(trusted, judging.patterns(arguments.image))
    session.compiled([Document(document, "command line") for document in documents], limits)  # or say what is wrong
    print(trust.as_yaml(*documents), end="")
    return 0
