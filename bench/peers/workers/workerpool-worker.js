// What workerpool loads into each worker.
import workerpool from 'workerpool'
import run from './pool-worker.js'

workerpool.worker({ run })
