// benches/plugins/scorer.rs in TypeScript: a component by componentize-qjs, and a plain script for the embedded QuickJS. Numbers of the
// contract that are 64 bits wide come as bigint into the component and as number out of JSON.
type Wide = bigint | number
type Verdict = 'yes' | 'no' | 'not-applicable' | 'unverified'

interface Utterance { n: number, speaker: string, startMs?: Wide | null, endMs?: Wide | null, text: string }
interface Criterion { key: string, weight: number, autoFail: 'none' | 'section' | 'evaluation' }
interface Section { weight: number, criteria: Criterion[] }
interface Evidence { utterance: number, quote: string }
interface Answer { criterion: string, verdict: Verdict, confidence: number, rationale: string, evidence: Evidence[] }
interface ScoreInput { utterances: Utterance[], scorecard: { sections: Section[] }, answers: Answer[] }
interface CriterionScore { key: string, score?: number, passed?: boolean, note?: string }
interface Insight { kind: 'strength' | 'risk' | 'other', text: string, criterion?: string, utterances: number[] }
interface ScoreOutput { criteria: CriterionScore[], overall?: number, insights: Insight[], metadata: [string, string][] }
interface Settings {
  empathy: string[], risk: string[], disclosures: string[]
  longest_turn_words: number, deduct_monologue: number, deduct_disclosure: number
}
interface Heard {
  empathy: number[], risk: number[], disclosed: boolean[], monologues: { words: number, utterances: number[] }[]
  agentMs: number, customerMs: number, silenceMs: number, interruptions: number
}

const FULL_SCORE = 10000
const SILENCE_MS = 3000
const SHOWN = 20

function compute(settings: Settings, input: ScoreInput): ScoreOutput {
  const heard = listen(settings, input.utterances)
  const { criteria, overall: weighed } = weigh(input)
  const missing = heard.disclosed.filter((said) => !said).length
  const deducted = settings.deduct_monologue * heard.monologues.length + settings.deduct_disclosure * missing
  const overall = weighed === undefined ? undefined : Math.max(0, weighed - deducted)
  const spoken = heard.agentMs + heard.customerMs
  const metadata: [string, string][] = [
    ['talk_permille', String(spoken > 0 ? Math.floor(heard.agentMs * 1000 / spoken) : 0)],
    ['silence_ms', String(heard.silenceMs)],
    ['interruptions', String(heard.interruptions)],
  ]
  return { criteria, overall, insights: insights(heard, missing), metadata }
}

function listen(settings: Settings, utterances: Utterance[]): Heard {
  const empathy = phrases(settings.empathy), risk = phrases(settings.risk), disclosures = phrases(settings.disclosures)
  const heard: Heard = {
    empathy: [], risk: [], disclosed: disclosures.map(() => false), monologues: [],
    agentMs: 0, customerMs: 0, silenceMs: 0, interruptions: 0,
  }
  let words = 0, turn: number[] = [], latestEnd = 0, previous: string | undefined
  const endTurn = (): void => {
    if (words > settings.longest_turn_words) heard.monologues.push({ words, utterances: turn })
    words = 0
    turn = []
  }
  for (const utterance of utterances) {
    const start = Number(utterance.startMs ?? latestEnd), end = Number(utterance.endMs ?? latestEnd)
    const text = utterance.text.toLowerCase()
    if (utterance.speaker === 'agent') {
      heard.agentMs += Math.max(0, end - start)
      if (empathy.some((phrase) => isIn(phrase, text))) heard.empathy.push(utterance.n)
      disclosures.forEach((disclosure, at) => {
        if (!heard.disclosed[at] && isIn(disclosure, text)) heard.disclosed[at] = true
      })
      if (start < latestEnd && previous === 'customer') heard.interruptions++
      for (const word of text.split(' ')) if (word !== '') words++
      turn.push(utterance.n)
    } else if (utterance.speaker === 'customer') {
      heard.customerMs += Math.max(0, end - start)
      if (risk.some((phrase) => isIn(phrase, text))) heard.risk.push(utterance.n)
      endTurn()
    }
    if (start > latestEnd + SILENCE_MS) heard.silenceMs += start - latestEnd
    latestEnd = Math.max(latestEnd, end)
    previous = utterance.speaker
  }
  endTurn()
  return heard
}

function weigh(input: ScoreInput): { criteria: CriterionScore[], overall?: number } {
  const criteria: CriterionScore[] = []
  let sum = 0, weights = 0, failed = false
  for (const section of input.scorecard.sections) {
    let points = 0, most = 0, fails = false
    for (const criterion of section.criteria) {
      const answer = input.answers.find((one) => one.criterion === criterion.key)
      if (!answer) continue
      const score = worth(answer, input.utterances.length)
      if (score === undefined) {
        criteria.push({ key: criterion.key })
        continue
      }
      const passed = score >= 6000
      fails ||= !passed && criterion.autoFail === 'section'
      failed ||= !passed && criterion.autoFail === 'evaluation'
      points += score * criterion.weight
      most += criterion.weight
      criteria.push({ key: criterion.key, score, passed, note: passed ? undefined : answer.rationale })
    }
    if (most > 0) {
      sum += fails ? 0 : Math.floor(points / most) * section.weight
      weights += section.weight
    }
  }
  if (weights === 0) return { criteria }
  return { criteria, overall: failed ? 0 : Math.floor(sum / weights) }
}

function worth(answer: Answer, utterances: number): number | undefined {
  if (answer.verdict !== 'yes' && answer.verdict !== 'no') return undefined
  const full = answer.verdict === 'yes' ? FULL_SCORE : 0
  const sure = Math.floor(full * (7500 + Math.floor(answer.confidence / 4)) / FULL_SCORE)
  let real = 0
  for (const one of answer.evidence) if (one.utterance <= utterances && one.quote !== '') real++
  return Math.floor(answer.evidence.length === 0 ? sure * 9 / 10 : sure * real / answer.evidence.length)
}

function insights(heard: Heard, missing: number): Insight[] {
  const insight = (kind: Insight['kind'], text: string, positions: number[]): Insight =>
    ({ kind, text, utterances: positions.slice(0, SHOWN) })
  const found: Insight[] = []
  if (heard.empathy.length > 0) {
    found.push(insight('strength', `The agent showed empathy in ${heard.empathy.length} utterances.`, heard.empathy))
  }
  if (heard.risk.length > 0) {
    found.push(insight('risk', `The customer spoke of leaving or complaining in ${heard.risk.length} utterances.`, heard.risk))
  }
  if (missing > 0) found.push(insight('risk', `${missing} disclosures were not made.`, []))
  for (const { words, utterances } of heard.monologues) {
    found.push(insight('other', `The agent spoke ${words} words before anybody else had a turn.`, utterances))
  }
  return found
}

function phrases(words: string[]): string[] {
  return words.map((phrase) => phrase.trim().toLowerCase()).filter((phrase) => phrase !== '')
}

// Whole words alone.
function isIn(phrase: string, text: string): boolean {
  for (let at = text.indexOf(phrase); at >= 0; at = text.indexOf(phrase, at + 1)) {
    const end = at + phrase.length
    if (!(isLetter(text, at - 1) && isLetter(text, at)) && !(isLetter(text, end - 1) && isLetter(text, end))) return true
  }
  return false
}

function isLetter(text: string, at: number): boolean {
  return at >= 0 && at < text.length && /[\p{L}\p{N}]/u.test(text[at]!)
}

// What the component exports.
export const scoring = {
  describe: () => ({ name: 'bench', version: '1.0.0', summary: 'What benches/plugins measures.', settingsSchema: undefined, metadata: [] }),
  validateSettings: (_settings: string): void => {},
  score: (settings: string, input: ScoreInput): ScoreOutput => compute(JSON.parse(settings), input),
}

// What the embedded QuickJS calls.
export function scoreJson(request: string): string {
  const { settings, input } = JSON.parse(request)
  return JSON.stringify(compute(JSON.parse(settings), input))
}
