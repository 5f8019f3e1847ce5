/** The master's imports, and what it does when the app starts. */
import { Meteor } from 'meteor/meteor'
import { listFlags } from './flags'
import { prepareOutput, removeOutput } from './output'
import { Run } from './run'
import { isAsExpected, progressOf, summaryOf } from './summary'
import { serve } from './web'

/** Set by `npm start -- --exit`: stop when all tasks have ended. */
const exitsAtEnd = process.env.EXAMPLE_EXIT === '1'

const PROGRESS_EVERY_MS = 2000

// Tasks start to run after the last of these hooks.
Meteor.startup(async () => {
  await prepareOutput()
  const run = new Run(await listFlags())
  await run.start()
  serve(run)
  const progress = setInterval(() => {
    console.log(progressOf(run))
  }, PROGRESS_EVERY_MS)
  void run.ended.then(() => {
    clearInterval(progress)
    return finish(run)
  })
})

async function finish(run: Run): Promise<void> {
  console.log(summaryOf(run))
  if (!exitsAtEnd) return
  await removeOutput()
  process.exit(isAsExpected(run) ? 0 : 1)
}
