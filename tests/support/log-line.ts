import { type LoggedTask, createLog, lineOf } from '../../common/log'

/** The line that the console gets when something about a task went wrong, at time 0. @param stack of its error */
export function taskLine(task: Pick<LoggedTask, 'taskType' | '_id'>, text: string, stack?: string): string {
  let line = ''
  const log = createLog(entry => {
    line = lineOf({ ...entry, timestamp: new Date(0) })
  })
  log.taskError(task, text, stack === undefined ? undefined : Object.assign(new Error('with this stack'), { stack }))
  return line
}
