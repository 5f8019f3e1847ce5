import { Meteor } from 'meteor/meteor'
import { TaskQueue } from 'meteor/nschwarz:cluster'
import { Random } from 'meteor/random'
import { Tinytest } from 'meteor/tinytest'

interface Server {
  readonly method_handlers: Record<string, unknown>
  readonly universal_publish_handlers: readonly unknown[]
}

declare const Package: { autopublish?: object; insecure?: object }

const server = (Meteor as unknown as { server: Server }).server

Tinytest.add('security - no method reaches the queue from a client (invariant 11)', test => {
  test.equal(
    Object.keys(server.method_handlers).filter(name => name.includes('taskQueue')),
    [],
  )
})

Tinytest.add(
  'security - nothing of the queue is reachable with insecure and autopublish either (invariant 11)',
  test => {
    const before = { ...Package }
    const published = server.universal_publish_handlers.length
    try {
      Object.assign(Package, { autopublish: {}, insecure: {} })
      // The same class, as it would be made in an app with these packages.
      const Queue = TaskQueue.constructor as new (name: string) => typeof TaskQueue
      const { _name: name } = new Queue(`taskQueue-${Random.id()}`) as unknown as { _name: string }
      test.equal(
        Object.keys(server.method_handlers).filter(method => method.includes(name)),
        [],
      )
      test.equal(server.universal_publish_handlers.length, published)
    } finally {
      for (const added of ['autopublish', 'insecure'] as const) if (!(added in before)) delete Package[added]
    }
  },
)
