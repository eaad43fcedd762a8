"""One config made by many tasks on many machines, which share nothing but a folder (avmit).

What an engine (Slurm, Ray, a shell) builds on; see `place` for what lies where:

- `place.PlanFolder(out, config)` is the folder of a plan, `.read()` its `plan.Plan` or None;
  shards are numbered from 0 in the order of `Plan.shards`.
- `extraction.extract.tasks.make.plan_extraction` makes it if it is not there, before any task is
  started; else the tasks do so themselves, each looking at all videos.
- `selection.parse_selection("3/16").numbers(len(plan.shards))` are the shards of a task. A command
  with `--shards N/COUNT`, COUNT the number of shards in the plan, makes the shard N alone.
- `finished.read_finished(folder, plan, number)` tells whether a shard is done: its own mark, no
  engine's.
- `jobs.jobs(folder, queued)` tells of each shard what became of it; `queued` is a mapping of an
  engine's, from the number of a shard to what the engine says of it ("pending: Priority").
  `command.show_jobs(..., ask_engine=)` is `avmit jobs` with that.
- `finish.finish(out, configs)` puts together what all tasks have made.

A command with `--shards` exits with 0 when all its shards are done, whoever made them, and with 1
when one is not; it may be killed at any moment and run again anywhere, at the same time too.
"""
