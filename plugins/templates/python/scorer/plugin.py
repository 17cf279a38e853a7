"""A scorer: the weighted score of the scorecard, minus points if the agent never says one of the wanted phrases."""

from pathlib import Path
from typing import Any, Dict

import plumbline
from plumbline import FULL_SCORE
from wit_world import exports
from wit_world.exports.scoring import Insight, InsightKind, ScoreInput, ScoreOutput
from wit_world.imports.host import Level, log
from wit_world.imports.types import Description, Speaker

# People fill in a form that is made of it. It is read when the component is made: there are no files when it runs.
SCHEMA = Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8")


def parse(text: str) -> Dict[str, Any]:
    """What an organization may set. Scores and points are whole hundredths: 500 is 5.00."""
    read = plumbline.settings(text, {"phrases": ["thank you", "thanks"], "deduct_hundredths": 500})
    if not isinstance(read["phrases"], list) or not all(isinstance(words, str) for words in read["phrases"]):
        plumbline.refuse("phrases must be a list of texts")
    points = read["deduct_hundredths"]
    if isinstance(points, bool) or not isinstance(points, int) or not 0 <= points <= FULL_SCORE:
        plumbline.refuse(f"deduct_hundredths must be a whole number from 0 to {FULL_SCORE}")
    return read


class Scoring(exports.Scoring):
    def describe(self) -> Description:
        return Description(
            name="{{name}}",
            version="0.1.0",
            summary="The weighted score, minus points if the agent never says one of the wanted phrases.",
            settings_schema=SCHEMA,
            # What is not named here arrives empty. Keys, weights and verdicts are always given.
            metadata=plumbline.manifest(reads=["utterances.text", "utterances.speaker"]),
        )

    def validate_settings(self, settings: str) -> None:
        parse(settings)

    def score(self, settings: str, input: ScoreInput) -> ScoreOutput:
        read = parse(settings)
        # Every criterion's score, and the overall score, exactly as the built-in scorer has them.
        answers = plumbline.by_criterion(input.answers)
        output = plumbline.weighted(input.scorecard, answers)
        if output.overall is None:
            return output
        output.metadata.append(("weighted_score", str(output.overall)))

        wanted = [words.lower() for words in read["phrases"]]
        agents = [one.text.lower() for one in input.utterances if one.speaker == Speaker.AGENT]
        said = any(words in text for text in agents for words in wanted)
        log(Level.INFO, f"a wanted phrase was said: {str(said).lower()}")
        if not said:
            output.overall = max(0, output.overall - read["deduct_hundredths"])
            text = "The agent said none of the wanted phrases."
            output.insights.append(Insight(kind=InsightKind.RISK, text=text, criterion=None, utterances=[]))
        return output
