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
  return run(file, compile(file, readFileSync(cacheOf(file))))
}

/** Runs the file once, so that the functions that this needs are in the cache. */
export function writeCacheOf(file: string): void {
  const script = compile(file)
  run(file, script)
  writeFileSync(cacheOf(file), script.createCachedData())
}

function compile(filename: string, cachedData?: Buffer): Script {
  return new Script(Module.wrap(readFileSync(filename, 'utf8')), { filename, cachedData })
}

function run(file: string, script: Script): unknown {
  const module = { exports: {} }
  const wrapped = script.runInThisContext() as (...args: unknown[]) => void
  wrapped(module.exports, createRequire(file), module, file, path.dirname(file))
  return module.exports
}
