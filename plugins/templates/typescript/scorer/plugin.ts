// A scorer: the weighted score of the scorecard, minus points if the agent never says one of the wanted phrases.

import { log } from "plumbline:plugin/host@1.0.0";

import { byCriterion, FULL_SCORE, manifest, refusal, type Scoring, settings, weighted } from "../sdk/plumbline.ts";
import schema from "./settings.schema.json" with { type: "json" };

/** What an organization may set. Scores and points are whole hundredths: 500 is 5.00. */
interface Settings {
  phrases: string[];
  deduct_hundredths: number;
}

function parse(json: string): Settings {
  const read = settings<Settings>(json, { phrases: ["thank you", "thanks"], deduct_hundredths: 500 });
  if (!Array.isArray(read.phrases) || !read.phrases.every((words) => typeof words === "string")) {
    throw refusal("phrases must be a list of texts");
  }
  const points = read.deduct_hundredths;
  if (!Number.isInteger(points) || points < 0 || points > FULL_SCORE) {
    throw refusal(`deduct_hundredths must be a whole number from 0 to ${FULL_SCORE}`);
  }
  return read;
}

export const scoring: Scoring = {
  describe: () => ({
    name: "{{name}}",
    version: "0.1.0",
    summary: "The weighted score, minus points if the agent never says one of the wanted phrases.",
    // People fill in a form that is made of it.
    settingsSchema: JSON.stringify(schema),
    // What is not named here arrives empty. Keys, weights and verdicts are always given.
    metadata: manifest({ reads: ["utterances.text", "utterances.speaker"] }),
  }),

  validateSettings(json) {
    parse(json);
  },

  score(json, input) {
    const { phrases, deduct_hundredths } = parse(json);
    // Every criterion's score, and the overall score, exactly as the built-in scorer has them.
    const output = weighted(input.scorecard, byCriterion(input.answers));
    if (output.overall === null) return output;
    output.metadata.push(["weighted_score", String(output.overall)]);

    const wanted = phrases.map((words) => words.toLowerCase());
    const agents = input.utterances.filter((utterance) => utterance.speaker === "agent");
    const said = agents.some(({ text }) => wanted.some((words) => text.toLowerCase().includes(words)));
    log("info", `a wanted phrase was said: ${said}`);
    if (!said) {
      output.overall = Math.max(0, output.overall - deduct_hundredths);
      const text = "The agent said none of the wanted phrases.";
      output.insights.push({ kind: "risk", text, criterion: null, utterances: [] });
    }
    return output;
  },
};
