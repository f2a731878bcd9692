-- Posts a dead letter's entry again and drops the letter. However many wait: someone asked for it by hand.
-- ARGV: id, conversation, entry in its new form, its space or '', seconds to remember the update. The id is '' where the
-- letter lies elsewhere: its conversation has moved here.
-- Answers 'retried', also where that was done a moment ago, 'gone', or 'moved NAME': it is to be posted there.
local id, conversation, entry, space, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local member = id ~= '' and find_failed(id)
if redis.call('EXISTS', SEEN) == 1 and not member then return 'retried' end
if id ~= '' then
  if not member then return 'gone' end
  local moved = redis.call('HGET', STATE, 'moved')
  if moved then return 'moved ' .. moved end
  drop_failed(member)
end
redis.call('SET', SEEN, '1', 'EX', seconds)
redis.call('RPUSH', BOX, entry)
count(space, 1)
ready(conversation, space, false)
return 'retried'
