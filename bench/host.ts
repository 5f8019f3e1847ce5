/** The process of a subject that needs no Meteor: loads the subject's module, and serves its operations. */
import { MODULE_VARIABLE, type Operations, type Settings } from './protocol'
import { readSettings, serve } from './serve'

/** What each module of a subject exports. */
export interface SubjectModule {
  readonly open: (settings: Settings) => Promise<Partial<Operations>> | Partial<Operations>
}

const { open } = (await import(process.env[MODULE_VARIABLE] ?? '')) as SubjectModule
serve(await open(readSettings()))
