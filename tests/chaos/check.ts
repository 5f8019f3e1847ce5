/** Checks the log of a run against the rules. Pure, so that a log that was kept can be checked again. */
import { type Rule, type Settings, type Violation, only, toHistory } from './history'
import type { Entry } from './log'
import { attempts } from './rules/attempts'
import { awaited } from './rules/awaited'
import { cancelled } from './rules/cancelled'
import { completedTwice } from './rules/completed-twice'
import { early } from './rules/early'
import { late } from './rules/late'
import { limited } from './rules/limited'
import { lost } from './rules/lost'
import { overlapping } from './rules/overlapping'
import { paused } from './rules/paused'
import { ended, orphans, stuck } from './rules/processes'
import { reported } from './rules/reported'
import { ticked } from './rules/ticked'
import { undisturbed } from './rules/undisturbed'
import { unexplained } from './rules/unexplained'
import { waiting } from './rules/waiting'
import { withdrawn } from './rules/withdrawn'

const RULES: readonly Rule[] = [
  lost,
  overlapping,
  late,
  completedTwice,
  early,
  orphans,
  ended,
  stuck,
  attempts,
  withdrawn,
  cancelled,
  unexplained,
  waiting,
  undisturbed,
  awaited,
  limited,
  paused,
  reported,
  ticked,
]

export interface Counts {
  readonly tasks: number
  readonly attempts: number
  /** By kind of attack. */
  readonly attacks: Readonly<Record<string, number>>
  /** Jobs that reached their worker too late, and were not started. */
  readonly refusedLate: number
}

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly counts: Counts
}

/** @param entries in any order */
export function check(entries: readonly Entry[], settings: Settings): Verdict {
  const inOrder = [...entries].sort((a, b) => a.at - b.at)
  const history = toHistory(inOrder, settings)
  const started = new Set(history.jobs.map(({ token }) => token))
  return {
    violations: RULES.flatMap(rule => rule(history)),
    counts: {
      tasks: history.tasks.filter(({ addedAt }) => addedAt !== undefined).length,
      attempts: history.jobs.length,
      attacks: countBy(history.attacks.map(({ kind }) => kind)),
      refusedLate: only(inOrder, 'received').filter(
        ({ startBefore, at, token }) => startBefore !== null && at >= startBefore && !started.has(token),
      ).length,
    },
  }
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
