import { type Rule, only } from '../history'

/** No process of the run lives after all its masters were stopped. */
export const orphans: Rule = ({ entries }) =>
  only(entries, 'survivor').map(entry => ({
    rule: 'orphans',
    text: `process ${String(entry.target)} outlives its master: ${entry.command}`,
    evidence: [entry, ...only(entries, 'process').filter(({ pid }) => pid === entry.target)],
  }))

/** No master exits by itself. */
export const ended: Rule = ({ entries }) =>
  only(entries, 'exit')
    .filter(({ isPlanned }) => !isPlanned)
    .map(entry => ({
      rule: 'ended',
      text: `master ${String(entry.target)} exited by itself (${entry.how})`,
      evidence: [entry],
    }))

/** The queue becomes empty soon after the last attack. */
export const stuck: Rule = ({ entries }) =>
  only(entries, 'drain')
    .filter(({ isComplete }) => !isComplete)
    .map(entry => ({
      rule: 'stuck',
      text: `tasks were unfinished ${(entry.milliseconds / 1000).toFixed(0)} s after the last attack`,
      evidence: [entry, ...only(entries, 'left').filter(({ state }) => state !== 'failed')],
    }))
