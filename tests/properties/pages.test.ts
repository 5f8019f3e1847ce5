/**
 * The examples for the client, with hosts that do what Meteor's packages do, as far as they matter here: `useTracker`
 * runs its function, as the package does on a server, and `Template` hands out what it is given.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { compileFunction } from 'node:vm'
import { transformSync } from 'esbuild'

const installed = createRequire(import.meta.url)

interface Server {
  renderToStaticMarkup: (element: unknown) => string
}

/** What the client has got, which `find` returns whatever it is asked for; both are recorded. */
class Client {
  readonly subscriptions: string[] = []
  readonly queries: unknown[][] = []
  readonly tasks: readonly object[]

  constructor(tasks: readonly object[]) {
    this.tasks = tasks
  }

  readonly subscribe = (name: string) => {
    this.subscriptions.push(name)
  }

  readonly find = (...query: unknown[]) => {
    this.queries.push(query)
    return { fetch: () => this.tasks }
  }
}

/** Runs an example whose imports are these modules, or installed. @returns its exports */
function run(file: string, modules: Readonly<Record<string, object>>): Record<string, unknown> {
  const source = readFileSync(new URL(`../examples/pages/${file}`, import.meta.url), 'utf8')
  // Like Meteor's compiler, which makes of an element a call of `React.createElement`.
  const { code } = transformSync(source, { loader: 'jsx', format: 'cjs', jsx: 'transform' })
  const module = { exports: {} }
  const load = (id: string): unknown => modules[id] ?? installed(id)
  const start = compileFunction(code, ['module', 'require']) as (module: object, require: typeof load) => void
  start(module, load)
  return module.exports
}

const NEWEST_FIRST = [{}, { sort: { createdAt: -1 } }]

void test('the React example shows the progress of each task, and the result of one that is done', () => {
  const client = new Client([
    { _id: 'a', state: 'running', progress: { percent: 50 } },
    { _id: 'b', state: 'waiting' },
    { _id: 'c', state: 'done', progress: { percent: 100 }, result: 'cats.webm' },
  ])
  const { MyTasks } = run('my-tasks.jsx', {
    'meteor/meteor': { Meteor: client },
    'meteor/react-meteor-data': { useTracker: (reactive: () => unknown) => reactive() },
    'meteor/nschwarz:cluster': { TaskQueue: client },
  })
  const { createElement } = installed('react') as { createElement: (component: unknown) => unknown }
  const html = (installed('react-dom/server') as Server).renderToStaticMarkup(createElement(MyTasks))
  assert.equal(html, '<p>running 50 %</p><p>waiting 0 %</p><p>cats.webm</p>')
  assert.deepEqual([client.subscriptions, client.queries], [['myTasks'], [NEWEST_FIRST]])
})

void test('the Blaze example subscribes with its template, and hands it a cursor', () => {
  const client = new Client([{ _id: 'a' }])
  const given: { onCreated?: () => void; helpers?: { tasks: () => { fetch: () => unknown } } } = {}
  const myTasks = {
    onCreated: (callback: () => void) => (given.onCreated = callback),
    helpers: (helpers: typeof given.helpers) => (given.helpers = helpers),
  }
  run('my-tasks.js', {
    './my-tasks.html': {},
    'meteor/templating': { Template: { myTasks } },
    'meteor/nschwarz:cluster': { TaskQueue: client },
  })
  given.onCreated?.call(client)
  assert.deepEqual(given.helpers?.tasks().fetch(), client.tasks)
  assert.deepEqual([client.subscriptions, client.queries], [['myTasks'], [NEWEST_FIRST]])
})
