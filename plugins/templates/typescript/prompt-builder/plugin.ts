// A prompt builder: the built-in prompt, with advice of the organization's own before the rules.

import { log } from "plumbline:plugin/host@1.0.0";

import { criteriaOf, document, manifest, partOf, type Prompting, refusal, RULES, settings } from "../sdk/plumbline.ts";
import schema from "./settings.schema.json" with { type: "json" };

interface Settings {
  advice: string;
}

function parse(json: string): Settings {
  const read = settings<Settings>(json, { advice: "" });
  if (typeof read.advice !== "string" || read.advice.length > 2_000) {
    throw refusal("the advice must be a text of at most 2000 characters");
  }
  return read;
}

export const prompting: Prompting = {
  describe: () => ({
    name: "{{name}}",
    version: "0.1.0",
    summary: "The built-in prompt, with advice of the organization's own.",
    // People fill in a form that is made of it.
    settingsSchema: JSON.stringify(schema),
    // What is not named here arrives empty.
    metadata: manifest({ reads: ["utterances.text", "utterances.speaker", "scorecard.text", "metadata"] }),
  }),

  validateSettings(json) {
    parse(json);
  },

  build(json, input) {
    const { advice } = parse(json);
    log("info", `utterances: ${input.utterances.length}`);
    const opening =
      "You evaluate a conversation between a company's agent and a customer. The user message is one JSON document: `criteria` are the " +
      "questions to answer, `transcript` is the conversation as numbered utterances.";
    const words = [opening, advice, "Rules:", RULES].filter((part) => part !== "");
    return {
      // Long conversations are asked about in parts.
      system: words.join("\n\n") + partOf(input),
      // Everything that was said is inside of one JSON document: words of a caller can never pose as structure.
      user: document(input),
      maxOutputTokens: Math.min(200_000, 4_000 + 300 * criteriaOf(input.scorecard).length),
    };
  },
};
