-- One step of something that is being made. Each may be done twice.
-- KEYS: the creation, those being made in its conversation
-- ARGV: step, number; then for
--   place: lifetime in seconds, how many may be made in a conversation, and fields with values. Answers 1, also when it
--   is there already, or 0 when there are too many.
--   begin: token of the run. Answers go, ended, stopped or gone, whether it is handed over, and what was remembered.
--   note: token, progress, preview's name. Answers go, stopped or stale.
--   end: token, parts. Answers ended or stale, and whether it is handed over. An empty token is that of any run.
--   hand: answers 1 when its turn need not follow it any more, 0 when it has ended and was not handed over before.
--   stop: answers 1, or 0 when it has ended.
--   remember: token, what the run is to know that comes after this one.
--   tell: id of the message that says that it is still being made.
local step, number = ARGV[1], ARGV[2]
local creation, making = KEYS[1], KEYS[2]

local function get(field)
  return redis.call('HGET', creation, field) or ''
end

if step == 'place' then
  if redis.call('EXISTS', creation) == 1 then return 1 end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', making, '-inf', now - ARGV[3] * 1000)
  if redis.call('ZCARD', making) >= tonumber(ARGV[4]) then return 0 end
  for i = 5, #ARGV, 2 do redis.call('HSET', creation, ARGV[i], ARGV[i + 1]) end
  redis.call('ZADD', making, now, number)
  redis.call('EXPIRE', creation, ARGV[3])
  redis.call('EXPIRE', making, ARGV[3])
  return 1
end

if redis.call('EXISTS', creation) == 0 then
  redis.call('ZREM', making, number)
  return (step == 'hand' or step == 'stop') and 0 or { 'gone', '', '' }
end
local is_ended = get('ended') ~= ''

if step == 'begin' then
  if is_ended then return { 'ended', get('handed'), '' } end
  if get('stop') ~= '' then return { 'stopped', get('handed'), '' } end
  redis.call('HSET', creation, 'run', ARGV[3])
  return { 'go', get('handed'), get('remote') }
elseif step == 'note' then
  if is_ended or get('run') ~= ARGV[3] then return { 'stale', '', '' } end
  redis.call('HSET', creation, 'progress', ARGV[4], 'preview', ARGV[5])
  redis.call('HINCRBY', creation, 'tick', 1)
  return { get('stop') ~= '' and 'stopped' or 'go', '', '' }
elseif step == 'end' then
  if not is_ended then
    if ARGV[3] ~= '' and get('run') ~= ARGV[3] then return { 'stale', '', '' } end
    redis.call('HSET', creation, 'ended', '1', 'parts', ARGV[4])
    redis.call('HDEL', creation, 'progress', 'preview', 'remote')
  end
  redis.call('ZREM', making, number)
  return { 'ended', get('handed'), '' }
elseif step == 'hand' then
  if is_ended and get('handed') == '' then return 0 end
  redis.call('HSET', creation, 'handed', '1')
  return 1
elseif step == 'remember' then
  if not is_ended and get('run') == ARGV[3] then redis.call('HSET', creation, 'remote', ARGV[4]) end
  return 1
elseif step == 'tell' then
  redis.call('HSET', creation, 'shown', ARGV[3])
  return 1
end
if is_ended then return 0 end
redis.call('HSET', creation, 'stop', '1')
return 1
