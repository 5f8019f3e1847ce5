import React from 'react'
import { Meteor } from 'meteor/meteor'
import { useTracker } from 'meteor/react-meteor-data'
import { TaskQueue } from 'meteor/nschwarz:cluster'

export function MyTasks() {
  const tasks = useTracker(() => {
    Meteor.subscribe('myTasks')
    return TaskQueue.find({}, { sort: { createdAt: -1 } }).fetch()
  })
  return tasks.map(({ _id, progress, result, state }) => (
    <p key={_id}>{state === 'done' ? result : `${state} ${progress?.percent ?? 0} %`}</p>
  ))
}
