"""A prompt builder: the built-in prompt, with advice of the organization's own before the rules."""

from pathlib import Path

import plumbline
from wit_world import exports
from wit_world.exports.prompting import Prompt, PromptInput
from wit_world.imports.host import Level, log
from wit_world.imports.types import Description

# People fill in a form that is made of it. It is read when the component is made: there are no files when it runs.
SCHEMA = Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8")


def parse(text: str) -> str:
    """The advice."""
    advice = plumbline.settings(text, {"advice": ""})["advice"]
    if not isinstance(advice, str) or len(advice) > 2_000:
        plumbline.refuse("the advice must be a text of at most 2000 characters")
    return advice


class Prompting(exports.Prompting):
    def describe(self) -> Description:
        return Description(
            name="{{name}}",
            version="0.1.0",
            summary="The built-in prompt, with advice of the organization's own.",
            settings_schema=SCHEMA,
            # What is not named here arrives empty.
            metadata=plumbline.manifest(reads=["utterances.text", "utterances.speaker", "scorecard.text", "metadata"]),
        )

    def validate_settings(self, settings: str) -> None:
        parse(settings)

    def build(self, settings: str, input: PromptInput) -> Prompt:
        advice = parse(settings)
        log(Level.INFO, f"utterances: {len(input.utterances)}")
        opening = (
            "You evaluate a conversation between a company's agent and a customer. The user message is one JSON document: `criteria` are "
            "the questions to answer, `transcript` is the conversation as numbered utterances."
        )
        words = [part for part in (opening, advice, "Rules:", plumbline.RULES) if part]
        criteria = sum(1 for _ in plumbline.criteria_of(input.scorecard))
        return Prompt(
            # Long conversations are asked about in parts.
            system="\n\n".join(words) + plumbline.part_of(input),
            # Everything that was said is inside of one JSON document: words of a caller can never pose as structure.
            user=plumbline.document(input),
            max_output_tokens=min(200_000, 4_000 + 300 * criteria),
        )
