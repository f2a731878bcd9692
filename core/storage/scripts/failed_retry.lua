-- Posts a dead letter's entry again and drops the letter. However many wait: someone asked for it by hand.
-- ARGV: id, conversation, entry in its new form, its space or '', seconds to remember the update.
-- Answers 'retried', also where that was done a moment ago, or 'gone'.
local id, conversation, entry, space, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
for _, member in ipairs(redis.call('ZRANGE', failed(), 0, -1)) do
  if string.match(member, '^%w+') == id then
    drop_failed(member)
    redis.call('SET', SEEN, '1', 'EX', seconds)
    redis.call('RPUSH', BOX, entry)
    count(space, 1)
    ready(conversation, space, false)
    return 'retried'
  end
end
return redis.call('EXISTS', SEEN) == 1 and 'retried' or 'gone'
