"""The weighted scorer in Python: what plugins/weighted_scorer does in Rust, to the last hundredth."""

from pathlib import Path

import plumbline
from plumbline import FULL_SCORE
from wit_world import exports
from wit_world.exports.scoring import Insight, InsightKind, ScoreInput, ScoreOutput
from wit_world.imports.types import AutoFail, Description

# Read when the component is made: there are no files when it runs.
SCHEMA = Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8")


def parse(text: str) -> int:
    """The pass mark, in hundredths."""
    mark = plumbline.settings(text, {"pass_mark_hundredths": 8_000})["pass_mark_hundredths"]
    if isinstance(mark, bool) or not isinstance(mark, int) or not 0 <= mark <= FULL_SCORE:
        plumbline.refuse(f"pass_mark_hundredths must be a whole number from 0 to {FULL_SCORE}")
    return mark


class Scoring(exports.Scoring):
    def describe(self) -> Description:
        return Description(
            name="weighted_scorer_python",
            version="1.0.0",
            summary="The weighted score of the scorecard, and whether it reaches the pass mark.",
            settings_schema=SCHEMA,
            metadata=plumbline.manifest(reads=["answers.evidence"]),
        )

    def validate_settings(self, settings: str) -> None:
        parse(settings)

    def score(self, settings: str, input: ScoreInput) -> ScoreOutput:
        pass_mark = parse(settings)
        answers = plumbline.by_criterion(input.answers)
        output = plumbline.weighted(input.scorecard, answers)
        for criterion in plumbline.criteria_of(input.scorecard):
            if criterion.auto_fail == AutoFail.NONE or plumbline.fulfilled(criterion, answers) is not False:
                continue
            if len(output.insights) == 100:
                break
            output.insights.append(
                Insight(
                    kind=InsightKind.RISK,
                    text=f"{criterion.key} failed, and with it more than itself.",
                    criterion=criterion.key,
                    utterances=[one.utterance for one in answers[criterion.key].evidence[:100]],
                )
            )
        if output.overall is not None:
            output.metadata.append(("passed", "true" if output.overall >= pass_mark else "false"))
        return output
