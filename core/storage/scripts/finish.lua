-- Closes the turn: answer into the tree, the next turn opened in the same breath.
-- ARGV: conversation, worker, fence, lease in ms, turn number, question id or '', answer payload, tokens,
--       seconds to keep, of a dead letter: kind or '', causes, seconds to keep, version; then the pages' message ids
local conversation, worker, fence, lease_ms, number = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local question_id, payload, tokens, seconds = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9]
local stale = check_fence(fence)
if stale then return stale end
if redis.call('HGET', TURN, 'number') ~= number then
  -- This finish was done before and its reply got lost: the turn that is open now came of it.
  if redis.call('EXISTS', TURN) == 0 then return { 'idle' } end
  redis.call('ZADD', READY, now_ms() + lease_ms, conversation)
  return { 'turn', fence, preferences(), redis.call('HGETALL', TURN) }
end

local pages = {}
for i = 14, #ARGV do table.insert(pages, ARGV[i]) end
if question_id == '' and #pages > 0 then
  -- A command's answer is in no tree, but who looks for a lost message has to know that it is none.
  local notices = string.gsub(ORDER, '}:order:', '}:notices:', 1)
  redis.call('LPUSH', notices, unpack(pages))
  redis.call('LTRIM', notices, 0, 99)
  redis.call('EXPIRE', notices, seconds)
end
local question = question_id ~= '' and read_node(question_id)
if question and question.kind == 'q' and #pages > 0 then
  write_node(pages[1], question_id, question.before + question.tokens, tokens, 'a', payload)
  local now = now_ms()
  redis.call('ZADD', ORDER, now, pages[1])
  for i = 2, #pages do
    redis.call('HSET', TREE, pages[i], '=' .. pages[1])
    redis.call('ZADD', ORDER, now, pages[i])
  end
  redis.call('HSET', TREE, '@' .. question_id, pages[1])
  redis.call('HSET', STATE, 'newest', pages[1])
end
-- Who stopped, edited or deleted the question wants it no more.
if ARGV[10] ~= '' and redis.call('HEXISTS', TURN, 'interrupt') == 0 then
  keep_failed(conversation .. '/' .. number, conversation, redis.call('HGET', TURN, 'entry'), ARGV[10], ARGV[11], ARGV[12], ARGV[13])
end
if redis.call('HGET', TURN, 'interrupt') == 'moved' and string.find(payload, '"ending":"superseded"', 1, true) then
  -- It is answered where the conversation has moved to.
  put_back()
end
redis.call('DEL', TURN)
redis.call('EXPIRE', STATE, seconds)
return open_next(conversation, worker, lease_ms)
