import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { Meteor } from 'meteor/meteor'
import { MongoInternals } from 'meteor/mongo'
import { Cluster, TaskQueue, type Job } from 'meteor/nschwarz:cluster'

/** Files of any size, in the app's own database. */
function files() {
  const { GridFSBucket } = MongoInternals.NpmModules.mongodb.module
  return new GridFSBucket(MongoInternals.defaultRemoteCollectionDriver().mongo.client.db())
}

async function store(name: string, content: Readable): Promise<void> {
  await pipeline(content, files().openUploadStream(name))
}

const taskMap = {
  /** Takes the name of a file, and returns the name of another. */
  upperCase: async (job: Job<{ file: string }>) => {
    const text = await buffer(files().openDownloadStreamByName(job.data.file))
    const file = `${job.data.file}.upper`
    // A run that is repeated stores a newer revision under the same name.
    await store(file, Readable.from([text.toString().toUpperCase()]))
    return { file }
  },
}

new Cluster(taskMap)

Meteor.startup(async () => {
  if (!Cluster.isMaster()) return
  await store('letter', Readable.from(['x'.repeat(20 * 2 ** 20)]))
  const { file } = await TaskQueue.run<{ file: string }>({ taskType: 'upperCase', data: { file: 'letter' } })
  const result = await buffer(files().openDownloadStreamByName(file))
  console.log(file, 'has', result.length, 'bytes, and begins with', result.toString('utf8', 0, 3))
})
