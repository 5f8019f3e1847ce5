import type { Rule, TaskHistory } from '../history'

/** No two runs of a task have the same number, and it is retried no more often than it may be. */
export const attempts: Rule = ({ tasks }) =>
  tasks.flatMap(task => {
    const { plan, jobs, events } = task
    const retries = events.filter(({ type }) => type === 'retry')
    const evidence = [plan, ...jobs, ...events]
    const repeated = repeatedNumber(task)
    return [
      ...(repeated === undefined
        ? []
        : [{ rule: 'attempts', text: `${plan.kind} ${plan.id} had attempt ${String(repeated)} twice`, evidence }]),
      ...(retries.length <= plan.retries
        ? []
        : [
            { rule: 'attempts', text: `${plan.kind} ${plan.id} was retried ${String(retries.length)} times`, evidence },
          ]),
    ]
  })

function repeatedNumber({ jobs }: TaskHistory): number | undefined {
  const numbers = jobs.map(({ attempt }) => attempt)
  return numbers.find((number, index) => numbers.indexOf(number) !== index)
}
