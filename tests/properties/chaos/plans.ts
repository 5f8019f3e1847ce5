/** What a crash run is made of: the same for the same seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { isPayload, payloadOf } from '../../chaos/bulk'
import { planLoad } from '../../chaos/load'
import { planAttacks } from '../../chaos/nemesis'
import { planVariants } from '../../chaos/settings'
import { LEASE, WALL } from './story'

void test('a plan of attacks is the same for the same seed, and has each kind of attack within 20 seconds', () => {
  const take = (seed: number) => {
    const plan = planAttacks(seed, LEASE)
    return Array.from({ length: 200 }, () => plan.next().value)
  }
  assert.deepEqual(take(7), take(7))
  assert.notDeepEqual(take(7), take(8))
  const lastAt = new Map<string, number>()
  let now = 0
  for (const { kind, pause } of take(7)) {
    now += pause
    assert.ok(now - (lastAt.get(kind) ?? 0) < 40_000, `${kind} did not come for ${String(now)} ms`)
    lastAt.set(kind, now)
  }
  assert.equal(lastAt.size, 8)
})

void test('a plan of the load is the same for the same seed, and soon has each kind of task, deed and process', () => {
  const take = (seed: number) => {
    const plan = planLoad(seed, () => WALL)
    return Array.from({ length: 300 }, () => plan.next().value)
  }
  assert.deepEqual(take(7), take(7))
  assert.notDeepEqual(take(7), take(8))
  const steps = take(7)
  const plans = steps.flatMap(step => step.plans)
  const deeds = steps.flatMap(step => step.deeds)
  assert.deepEqual(new Set(steps.map(({ how }) => how)), new Set(['add', 'contest', 'batch', 'replace']))
  assert.deepEqual(
    new Set(deeds.map(({ method }) => method)),
    new Set(['remove', 'cancel', 'retry', 'pause', 'resume']),
  )
  assert.deepEqual(new Set(deeds.map(({ by }) => by)), new Set(['master', 'worker', 'web']))
  assert.equal(new Set(plans.map(({ kind }) => kind)).size, 13)
  assert.ok(plans.some(({ priority = 1 }) => priority < 1) && plans.some(({ priority = 1 }) => priority > 1))
  const sizes = plans.map(({ bytes }) => bytes?.data ?? 0)
  assert.ok(Math.max(...sizes) > 1024 * 1024 && Math.max(...sizes) <= 8 * 1024 * 1024)
  assert.equal(new Set(plans.map(({ incarnation }) => incarnation)).size, plans.length)
})

void test('masters differ by the seed, and the first one is as most are', () => {
  assert.deepEqual(planVariants(7, 3), planVariants(7, 3))
  const plain = { workerConcurrency: 1, maxJobsPerWorker: null, keepFailed: null }
  const variants = Array.from({ length: 30 }, (_, seed) => planVariants(seed, 3))
  for (const [first, ...others] of variants) {
    const { schedules, ...options } = first ?? {}
    assert.ok(others.length === 2 && isDeepStrictEqual(options, plain))
    // The last master is of an old build.
    assert.deepEqual(
      [schedules, others[1]?.schedules].map(given => Object.keys(given ?? {})),
      [['tick', 'fresh'], ['tick']],
    )
  }
  for (const option of ['workerConcurrency', 'maxJobsPerWorker', 'keepFailed'] as const) {
    assert.equal(new Set(variants.flat().map(variant => variant[option])).size, option === 'keepFailed' ? 2 : 3, option)
  }
})

void test('a payload that is cut or changed is noticed', () => {
  const payload = payloadOf(1000)
  assert.equal(payload.length, 1000)
  assert.ok(isPayload(payload, 1000))
  for (const other of [payload.slice(1), `${payload}.`, payload.replace('5', '6'), undefined]) {
    assert.ok(!isPayload(other, 1000))
  }
})
