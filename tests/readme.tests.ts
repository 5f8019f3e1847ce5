/**
 * Runs each example of the README, the guide and the recipes as an app of its own. `npm test` also checks that these
 * pages show these very files.
 */
import { Tinytest } from 'meteor/tinytest'
import type { TestDatabase } from './support/database'
import { anyPort } from './support/ports'
import { withDatabase } from './support/remote-master'
import { RemoteServer } from './support/remote-server'
import { eventually } from './support/wait'

function example(name: string, says: string, run: (app: RemoteServer, database: TestDatabase) => Promise<void>): void {
  Tinytest.addAsync(`readme - ${says}`, () =>
    withDatabase(async database => {
      const packages = { 'nschwarz:cluster': { refreshRate: 50, port: await anyPort() } }
      const app = new RemoteServer(`example:${name}`, {
        MONGO_URL: database.url,
        METEOR_SETTINGS: JSON.stringify({ packages }),
      })
      try {
        await run(app, database)
      } finally {
        if (!app.hasExited) await app.kill()
      }
    }),
  )
}

async function writes(app: RemoteServer, ...patterns: RegExp[]): Promise<void> {
  for (const pattern of patterns) await app.written(pattern)
}

example('first', 'the first example runs a task and tells its result', async app => {
  await writes(app, /:sum:\S+\tstarted/, /sum is 6/)
})

example('scheduled', 'a scheduled task that is moved to now runs now', async app => {
  await writes(app, /reminding ada/)
})

example('schedules', 'a schedule is run at once, and says when it is next due', async app => {
  await writes(app, /writing the nightly report of 20\S+Z/, /nightly is next due at 20\S+T0[01]:30:00\.000Z/)
})

example(
  'recurring',
  'a recurring task writes its report, and is due again ten minutes later',
  async (app, database) => {
    await eventually('the first one is added', async () => (await database.tasks.countDocuments()) === 1)
    await database.tasks.updateOne({}, { $set: { dueDate: new Date() } })
    await writes(app, /writing the report/)
    await eventually('only the next one is left', async () => {
      const [next, ...others] = await database.tasks.find().toArray()
      return others.length === 0 && next?.state === 'scheduled' && Number(next.dueDate) > Date.now() + 9 * 60_000
    })
  },
)

example('in-memory', 'in-memory tasks can be found and removed', async app => {
  await writes(app, /available: 1/, /found: warmCache/, /left: 1/, /warming \/\n/)
})

example('typed', 'the tasks of a task map are run by their names', async app => {
  await writes(app, /the sum is 6/)
})

example('progress', 'a task reports its progress, and its audience sees its result', async app => {
  await writes(app, /encode \{ percent: 100 \}/, /ada sees cats\.webm/)
})

example('limits', 'a paused type waits until it is resumed', async app => {
  await writes(app, /paused: \[ 'mail' \]/, /mail to ada@example\.com/)
})

example('results', 'a task is awaited, joined by its _id, and its result is kept', async app => {
  await writes(app, /the sum is 6/, /\[ 'the invoice of A7', 'the invoice of A7' \]/, /the invoice of B8/)
})

example('testing', 'an app tests its tasks in one process', async app => {
  await writes(app, /done: \S+/, /sent hello to bob/)
})

example('logs', 'a function gets the entries of the log, of the master and of the workers', async app => {
  await writes(app, /\{.*"message":"started".*"event":"started"/, /\{.*"message":"done in .*"event":"done"/)
})

example('conversation', 'a task talks with the master while it runs', async app => {
  await writes(app, /message of importRows 2 \{ rows: 3 \}/, /imported 3 rows; the master said thanks/)
})

example('entry', 'what only the master needs is imported on the master', async app => {
  await writes(app, /done: resized/)
})

example('web-only', 'an app without a cluster adds tasks for another', async app => {
  await writes(app, /added: waiting/)
})

example('attempts', 'a task is tried again, given up in the end, and cancelled', async app => {
  await writes(
    app,
    /cancelled not needed/,
    /attempt 3\n/,
    /fetchFeed tried again: fetch failed/,
    /given up after 3 attempts/,
  )
})

example('failures', 'a failed task tells its error, and stays until it is removed', async (app, database) => {
  await writes(app, /card refused E_REFUSED/, /\nfailed\n/)
  await eventually('it is removed', async () => (await database.tasks.countDocuments()) === 0)
})

// docs/recipes.md

example('recipes/method', 'a method returns the result of a task', async app => {
  await writes(app, /the report: \{ year: 2026, total: 24312 \}/)
})

example('recipes/cancel', 'who may follow a task may cancel it, and nobody else', async app => {
  await writes(app, /by bob: You have no such task/, /by ada: true/)
})

example('recipes/depth', 'the depth of the queue is known', async app => {
  await writes(app, /depth \{"waiting":0,"failed":0,"oldest":0,"workers":\[/)
})

example('recipes/large-file', 'a task takes and returns the names of large files', async app => {
  await writes(app, /letter\.upper has 20971520 bytes, and begins with XXX/)
})

example('recipes/admin', 'an administrator retries what has failed, and nobody else', async app => {
  await writes(app, /without a user: You are not an administrator/, /retried: 1/)
})

example('recipes/mail', 'an email is sent once, later, or never', async app => {
  await writes(app, /not sent: welcome-7 no such address/, /ada: sent/)
})
