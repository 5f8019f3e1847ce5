/** `4` selects the MongoDB driver of Meteor 3.0; otherwise that of 3.1 and later is used. */
export const DRIVER_VARIABLE = 'STAND_IN_MONGODB_DRIVER'
/** Which part of the tests to run: `1/2` is the first of two. */
export const SHARD_VARIABLE = 'STAND_IN_SHARD'
/** Set if there is no database to connect to at startup. */
export const NO_DATABASE_VARIABLE = 'STAND_IN_NO_DATABASE'
