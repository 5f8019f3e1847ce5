/** A CommonJS file that is run with V8's code cache: without it, most of a boot's time goes into compiling. */
import { readFileSync, writeFileSync } from 'node:fs'
import { Module, createRequire } from 'node:module'
import path from 'node:path'
import { Script } from 'node:vm'

/** Where the cache of a file is. Another version of V8 ignores it. */
export function cacheOf(file: string): string {
  return `${file}.cache`
}

/** @returns what the file exports */
export function runCached(file: string): unknown {
  const options = { filename: file, cachedData: readFileSync(cacheOf(file)) }
  return run(file, new Script(wrapped(file), options))
}

/**
 * Runs the file once, so that the functions that this needs are in the cache.
 *
 * @param name what the file will be called: stacks take it from the cache
 */
export function writeCacheOf(file: string, name: string): void {
  const script = new Script(wrapped(file), { filename: name })
  run(file, script)
  writeFileSync(cacheOf(file), script.createCachedData())
}

function wrapped(file: string): string {
  return Module.wrap(readFileSync(file, 'utf8'))
}

function run(file: string, script: Script): unknown {
  const module = { exports: {} }
  const load = script.runInThisContext() as (...args: unknown[]) => void
  load(module.exports, createRequire(file), module, file, path.dirname(file))
  return module.exports
}
