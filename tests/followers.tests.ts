import { Tinytest } from 'meteor/tinytest'
import type { Task } from '../common/task'
import { type Followed, Followers, type ObserveCallbacks, type Subscription } from '../server/queue/followers'

/** What all its observers observe, and how many there are. */
class Source {
  readonly callbacks = new Set<ObserveCallbacks>()
  readonly tasks = new Map<string, Partial<Task>>()
  observed = 0
  failure: Error | undefined

  followed(audience: string, key = 'any'): Followed {
    return {
      audience,
      key,
      observe: async callbacks => {
        this.observed++
        await Promise.resolve()
        if (this.failure !== undefined) throw this.failure
        for (const [id, task] of this.tasks) callbacks.added(id, task)
        this.callbacks.add(callbacks)
        return { stop: () => this.callbacks.delete(callbacks) }
      },
    }
  }

  add(id: string, task: Partial<Task>): void {
    this.tasks.set(id, task)
    for (const callbacks of this.callbacks) callbacks.added(id, task)
  }

  change(id: string, fields: Partial<Task>): void {
    for (const callbacks of this.callbacks) callbacks.changed(id, fields)
  }

  remove(id: string): void {
    this.tasks.delete(id)
    for (const callbacks of this.callbacks) callbacks.removed(id)
  }
}

class Client implements Subscription {
  /** By `_id`. */
  readonly seen: Record<string, object> = {}
  #stop: () => void = () => undefined

  added(_collection: string, id: string, fields: object): void {
    if (id in this.seen) throw new Error(`${id} was added twice`)
    this.seen[id] = { ...fields }
  }

  changed(_collection: string, id: string, fields: object): void {
    if (!(id in this.seen)) throw new Error(`${id} was changed before it was added`)
    this.seen[id] = { ...this.seen[id], ...fields }
  }

  removed(_collection: string, id: string): void {
    if (!(id in this.seen)) throw new Error(`${id} was removed before it was added`)
    delete this.seen[id]
  }

  onStop(callback: () => void): void {
    this.#stop = callback
  }

  stop(): void {
    this.#stop()
  }
}

Tinytest.addAsync('followers - each sees the tasks of its audience, before and after it follows', async test => {
  const [source, followers] = [new Source(), new Followers('taskQueue')]
  source.add('before', { audience: 'ada', state: 'waiting' })
  const [ada, team, bob] = [new Client(), new Client(), new Client()]
  await followers.publish(ada, source.followed('ada'))
  test.equal(ada.seen, { before: { audience: 'ada', state: 'waiting' } })
  source.add('shared', { audience: ['ada', 'team'], state: 'waiting' })
  source.add('other', { audience: 'bob' })
  await Promise.all([followers.publish(team, source.followed('team')), followers.publish(bob, source.followed('bob'))])
  source.change('shared', { state: 'running', progress: 7 })
  const shared = { audience: ['ada', 'team'], state: 'running', progress: 7 }
  test.equal([ada.seen.shared, team.seen, Object.keys(bob.seen)] as unknown[], [shared, { shared }, ['other']])
  source.remove('shared')
  test.equal([Object.keys(ada.seen), team.seen] as unknown[], [['before'], {}])
  test.equal(source.observed, 1)
})

Tinytest.addAsync('followers - whoever follows at once, while the observer begins, gets each task once', async test => {
  const [source, followers] = [new Source(), new Followers('taskQueue')]
  source.add('task', { audience: 'ada' })
  const clients = Array.from({ length: 100 }, () => new Client())
  await Promise.all(clients.map(client => followers.publish(client, source.followed('ada'))))
  for (const { seen } of clients) test.equal(Object.keys(seen), ['task'])
  test.equal(source.observed, 1)
})

Tinytest.addAsync('followers - a task whose audience changes comes and goes', async test => {
  const [source, followers] = [new Source(), new Followers('taskQueue')]
  const [ada, bob] = [new Client(), new Client()]
  await followers.publish(ada, source.followed('ada'))
  await followers.publish(bob, source.followed('bob'))
  source.add('task', { audience: 'ada', state: 'waiting', progress: 1 })
  source.change('task', { audience: ['bob'], progress: undefined })
  test.equal([ada.seen, bob.seen] as unknown[], [{}, { task: { audience: ['bob'], state: 'waiting' } }])
  source.change('task', { audience: ['bob', 'ada'], state: 'running' })
  test.equal([ada.seen.task, bob.seen.task], Array(2).fill({ audience: ['bob', 'ada'], state: 'running' }))
})

Tinytest.addAsync('followers - an audience of other code that is none reaches nobody', async test => {
  const [source, followers] = [new Source(), new Followers('taskQueue')]
  const client = new Client()
  await followers.publish(client, source.followed('undefined'))
  for (const [index, audience] of [undefined, null, 7, {}, [null], [['undefined']]].entries()) {
    source.add(String(index), { audience } as Partial<Task>)
  }
  test.equal(client.seen, {})
})

Tinytest.addAsync(
  'followers - other fields have an observer of their own; it lives as long as it is used',
  async test => {
    const [source, followers] = [new Source(), new Followers('taskQueue')]
    const [ada, bob, other] = [new Client(), new Client(), new Client()]
    await followers.publish(ada, source.followed('ada'))
    await followers.publish(bob, source.followed('bob'))
    await followers.publish(other, source.followed('ada', 'other'))
    test.equal([source.observed, source.callbacks.size], [2, 2])
    ada.stop()
    test.equal(source.callbacks.size, 2)
    source.add('task', { audience: ['ada', 'bob'] })
    test.equal(
      [ada, bob, other].map(({ seen }) => Object.keys(seen).length),
      [0, 1, 1],
    )
    for (const client of [bob, other]) client.stop()
    await Promise.resolve()
    test.equal(source.callbacks.size, 0)
    const again = new Client()
    await followers.publish(again, source.followed('bob'))
    test.equal([Object.keys(again.seen), source.observed] as unknown[], [['task'], 3])
  },
)

Tinytest.addAsync('followers - when the tasks cannot be observed, the next one tries anew', async test => {
  const [source, followers] = [new Source(), new Followers('taskQueue')]
  source.failure = new Error('the database is away')
  const [first, second, third] = [new Client(), new Client(), new Client()]
  const failed = await followers.publish(first, source.followed('ada')).catch((error: unknown) => error)
  test.equal((failed as Error).message, 'the database is away')
  source.failure = undefined
  source.add('task', { audience: 'ada' })
  await followers.publish(second, source.followed('ada'))
  // Meteor stops the first one by now, which must not end the second.
  first.stop()
  await followers.publish(third, source.followed('ada'))
  test.equal([source.observed, Object.keys(second.seen), Object.keys(third.seen)] as unknown[], [2, ['task'], ['task']])
})
