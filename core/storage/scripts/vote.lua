-- Counts what a person thinks of an answer, in place of what they thought before. KEYS[11]: the conversation's votes.
-- ARGV: id of the message, digest of the person, verdict (up, down or ''), unix seconds of it, seconds to keep the vote,
-- seconds to keep the count. Answers 1 if the message is an answer of a model.
local node = read_node(ARGV[1])
if not node or node.kind ~= 'a' then return 0 end
local model = cjson.decode(node.payload)['model']
if not model then return 0 end
local votes, field, verdict, at = KEYS[11], node.id .. '\t' .. ARGV[2], ARGV[3], ARGV[4]
local then_at, before, voted_for = string.match(redis.call('HGET', votes, field) or '', '^(%d+)\t(%a*)\t(.*)$')
-- Updates may come again, or in another order. One that takes nothing back is not kept.
if then_at and tonumber(at) < tonumber(then_at) or not then_at and verdict == '' then return 1 end
if before and before ~= '' then
  -- The answer may have been made anew since, by another model.
  redis.call('HINCRBY', FEEDBACK, voted_for .. ':' .. before, -1)
end
if verdict ~= '' then redis.call('HINCRBY', FEEDBACK, model .. ':' .. verdict, 1) end
redis.call('HSET', votes, field, at .. '\t' .. verdict .. '\t' .. model)
-- No longer than the conversation, which its space may keep for less time.
local left = redis.call('TTL', TREE)
redis.call('EXPIRE', votes, left > 0 and math.min(left, tonumber(ARGV[5])) or ARGV[5])
redis.call('EXPIRE', FEEDBACK, ARGV[6])
return 1
