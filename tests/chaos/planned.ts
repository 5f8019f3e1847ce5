/** The name of the error that tasks throw on purpose. */
export const PLANNED_ERROR = 'PlannedError'
