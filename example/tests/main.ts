/** The app's own tests: no worker is forked, each task runs in the process of the tests. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { Cluster, TaskQueue, testing } from 'meteor/nschwarz:cluster'
import { Tinytest } from 'meteor/tinytest'
import { CORRUPT } from '../server/corrupt-flag'
import { listFlags } from '../server/flags'
import { GALLERY, WIDTHS, prepareOutput, removeOutput, widthFolder } from '../server/output'
import { lastReport } from '../server/report'
import { Run } from '../server/run'
import { taskMap } from '../server/tasks'

new Cluster(taskMap, { logs: 'error' })

async function withOutput(test: () => Promise<void>): Promise<void> {
  await prepareOutput()
  try {
    await test()
  } finally {
    await removeOutput()
  }
}

function isRendered(code: string): boolean {
  return WIDTHS.every(width => existsSync(path.join(widthFolder(GALLERY, width), `${code}.png`)))
}

Tinytest.addAsync('example - a run adds a task for each flag, and the comparison when all have ended', test =>
  withOutput(async () => {
    await testing.mode('manual')
    const run = new Run((await listFlags()).filter(({ code }) => ['de', 'fr', CORRUPT.code].includes(code)))
    await run.start()
    for (const code of ['de', 'fr']) await testing.assertAdded({ taskType: 'render', data: { code } })
    await TaskQueue.pause('baseline')
    await testing.drain()
    await TaskQueue.resume('baseline')
    test.equal([...run.done].sort(), ['de', 'fr'])
    test.isTrue(isRendered('de') && isRendered('fr'))
    test.equal([...run.failed.keys()], [CORRUPT.code])
    await testing.waitFor({ taskType: 'baseline' }, 'waiting')
  }),
)

Tinytest.addAsync('example - a report says how far the work is', test =>
  withOutput(async () => {
    await testing.perform('render', { code: 'jp' })
    await testing.perform('report', {})
    test.equal((await lastReport())?.rendered, 1)
  }),
)
