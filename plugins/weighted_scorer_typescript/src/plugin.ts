// The weighted scorer in TypeScript: what plugins/weighted_scorer does in Rust, to the last hundredth.

import {
  byCriterion,
  criteriaOf,
  fulfilled,
  FULL_SCORE,
  manifest,
  refusal,
  type ScoreInput,
  type ScoreOutput,
  type Scoring,
  settings as read,
  weighted,
} from "../sdk/plumbline.ts";
import schema from "./settings.schema.json" with { type: "json" };

interface Settings {
  pass_mark_hundredths: number;
}

function parse(json: string): Settings {
  const settings = read<Settings>(json, { pass_mark_hundredths: 8_000 });
  const mark = settings.pass_mark_hundredths;
  if (!Number.isInteger(mark) || mark < 0 || mark > FULL_SCORE) {
    throw refusal(`pass_mark_hundredths must be a whole number from 0 to ${FULL_SCORE}`);
  }
  return settings;
}

export const scoring: Scoring = {
  describe() {
    return {
      name: "weighted_scorer_typescript",
      version: "1.0.0",
      summary: "The weighted score of the scorecard, and whether it reaches the pass mark.",
      settingsSchema: JSON.stringify(schema),
      metadata: manifest({ reads: ["answers.evidence"] }),
    };
  },

  validateSettings(settings) {
    parse(settings);
  },

  score(settings: string, input: ScoreInput): ScoreOutput {
    const { pass_mark_hundredths } = parse(settings);
    const answers = byCriterion(input.answers);
    const output = weighted(input.scorecard, answers);
    for (const criterion of criteriaOf(input.scorecard)) {
      if (criterion.autoFail === "none" || fulfilled(criterion, answers) !== false) continue;
      if (output.insights.length === 100) break;
      output.insights.push({
        kind: "risk",
        text: `${criterion.key} failed, and with it more than itself.`,
        criterion: criterion.key,
        utterances: (answers.get(criterion.key)?.evidence ?? []).slice(0, 100).map((evidence) => evidence.utterance),
      });
    }
    if (output.overall !== null) {
      output.metadata.push(["passed", String(output.overall >= pass_mark_hundredths)]);
    }
    return output;
  },
};
