import type { Rule, Stored } from '../history'

/**
 * What a job reports is stored only while its claim is valid, or by the write that settles it. A void claim changes
 * nothing.
 */
export const reported: Rule = history =>
  history.tasks.flatMap(({ plan, stored, jobs }) =>
    stored
      .filter((change, index) => isOfAnother(change, stored[index - 1]))
      .map(({ progress, token }) => ({
        rule: 'reported',
        text: `${plan.kind} ${plan.id} has the progress of ${String(progress)}, while its claim was ${String(token)}`,
        evidence: [plan, ...jobs, ...stored],
      })),
  )

function isOfAnother({ progress, token }: Stored, before: Stored | undefined): boolean {
  const isNew = progress !== null && progress !== (before?.progress ?? null)
  return isNew && progress !== token && progress !== before?.token
}
