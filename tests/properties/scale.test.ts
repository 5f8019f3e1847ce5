/** The verdict on a soak, with leaks planted in its samples. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sample } from '../../tools/scale/messages'
import { judge } from '../../tools/scale/verdict'

/** Of a server that is steady but for what is planted; its timers come and go. */
function samples(planted: (index: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 100 }, (_, index) => ({
    heapUsed: 20e6 + (index % 3) * 1e5,
    rss: 120e6,
    counts: { Timeout: 3 + (index % 2) },
    ...planted(index),
  }))
}

void test('a server that holds as much at the end as in the middle is steady', () => {
  assert.deepEqual([judge(samples()).isSteady, judge(samples()).grown], [true, {}])
})

void test('a server that only warms up is steady', () => {
  assert.ok(judge(samples(index => ({ heapUsed: 20e6 + Math.min(index, 33) * 1e6 }))).isSteady)
})

void test('a heap that grows by 100 bytes a task is not steady', () => {
  assert.equal(judge(samples(index => ({ heapUsed: 20e6 + index * 2000 * 100 }))).isSteady, false)
})

void test('a handle that is left behind now and then is named', () => {
  const { isSteady, grown } = judge(samples(index => ({ counts: { Timeout: 3, PipeWrap: 2 + Math.floor(index / 9) } })))
  assert.deepEqual([isSteady, Object.keys(grown)], [false, ['PipeWrap']])
})

void test('too few samples prove nothing', () => {
  assert.equal(judge(samples().slice(0, 2)).isSteady, false)
})
