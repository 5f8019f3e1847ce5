/** The name of the error that tasks throw because they are meant to. */
export const PLANNED_ERROR = 'PlannedError'
