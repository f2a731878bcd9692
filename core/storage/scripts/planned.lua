-- What is to be done of a space's book of cases. KEYS: the cases, their order, what waits (number or NUMBER:end -> ms at
-- which it is looked at), who is at it, in which line each stands; then two more for each act that is put in.
-- A line is what stands on one person or place: of one line one is done at a time, in the order in which they came.
-- ARGV: what to do, then as below.
--   order KEEP MOST SEEN (TEXT LINE)...  writes acts down; their numbers. The same again gives the same.
--   again MEMBER LINE         one is to be looked at again
--   due MOST                  ms until the next one is due, then those that are
--   claim MEMBER TOKEN MS     takes one for so long; its case, nothing where another has it or is before it
--   keep MEMBER TOKEN MS      has it for so long from now
--   later MEMBER TOKEN MS     gives it back, not to be looked at before
--   drop MEMBER TOKEN         it is done
--   change NUMBER OLD NEW MEMBER TOKEN  writes a case if it still says OLD; where a token is given, of whoever has MEMBER
local waits, claims, lines = KEYS[3], KEYS[4], KEYS[5]
local what = ARGV[1]
local now = math.floor(micros / 1000)
local function line_of(member)
  local sequence, line = string.match(redis.call('HGET', lines, member) or '', '^(%d+) (.*)$')
  return tonumber(sequence), line
end
local function enter(member, line, keep, index)
  if redis.call('ZSCORE', waits, member) then return end
  redis.call('ZADD', waits, now, member)
  redis.call('HSET', lines, member, string.format('%.0f', micros + index) .. ' ' .. line)
  for _, key in ipairs({waits, claims, lines}) do redis.call('EXPIRE', key, keep) end
end
local function check(member, token)
  if redis.call('HGET', claims, member) ~= token then
    return redis.error_reply('STALE another process is at it')
  end
end
if what == 'order' then
  local keep, most, seen = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
  local numbers = {}
  for at = 5, #ARGV, 2 do
    local index = (at - 5) / 2
    local of, made = KEYS[6 + index * 2], KEYS[7 + index * 2]
    local number = redis.call('GET', made)
    if not number then
      number = tostring(redis.call('HINCRBY', cases, 'last', 1))
      redis.call('HSET', cases, number, ARGV[at])
      redis.call('ZADD', order, micros + index, number)
      redis.call('ZADD', of, micros + index, number)
      redis.call('SET', made, number, 'EX', seen)
      redis.call('EXPIRE', of, keep)
      enter(number, ARGV[at + 1], keep, index)
    end
    numbers[#numbers + 1] = number
  end
  trim(keep, most)
  for _, key in ipairs({cases, order}) do last(key, keep) end
  return numbers
elseif what == 'again' then
  enter(ARGV[2], ARGV[3], math.max(redis.call('TTL', cases), 60), 0)
  return {}
elseif what == 'due' then
  local found = redis.call('ZRANGEBYSCORE', waits, '-inf', now, 'LIMIT', 0, ARGV[2])
  local first = redis.call('ZRANGE', waits, 0, 0, 'WITHSCORES')
  table.insert(found, 1, first[2] and string.format('%.0f', math.max(0, first[2] - now)) or '')
  return found
elseif what == 'claim' then
  local member, token = ARGV[2], ARGV[3]
  local score = tonumber(redis.call('ZSCORE', waits, member) or 0)
  if score == 0 then return {} end
  if redis.call('HGET', claims, member) ~= token then
    if score > now then return {} end
    local mine, line = line_of(member)
    for _, other in ipairs(redis.call('HKEYS', lines)) do
      local theirs, there = line_of(other)
      if there == line and theirs < mine then
        redis.call('ZADD', waits, math.max(now, tonumber(redis.call('ZSCORE', waits, other) or 0)) + 1, member)
        return {}
      end
    end
    redis.call('HSET', claims, member, token)
  end
  redis.call('ZADD', waits, now + tonumber(ARGV[4]), member)
  local text = redis.call('HGET', cases, (string.match(member, '^%d+')))
  return {text or ''}
elseif what == 'keep' or what == 'later' then
  local stale = check(ARGV[2], ARGV[3])
  if stale then return stale end
  redis.call('ZADD', waits, now + tonumber(ARGV[4]), ARGV[2])
  return {}
elseif what == 'drop' then
  local member = ARGV[2]
  if not redis.call('ZSCORE', waits, member) then return {} end
  local stale = check(member, ARGV[3])
  if stale then return stale end
  local _, line = line_of(member)
  redis.call('ZREM', waits, member)
  redis.call('HDEL', claims, member)
  redis.call('HDEL', lines, member)
  for _, other in ipairs(redis.call('HKEYS', lines)) do
    local _, there = line_of(other)
    if there == line and not redis.call('HGET', claims, other) then redis.call('ZADD', waits, now, other) end
  end
  return {}
end
local number, old, new, member, token = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if token ~= '' then
  local stale = check(member, token)
  if stale then return stale end
end
local kept = redis.call('HGET', cases, number)
if kept == new then return {'1'} end
if kept ~= old then return {'0'} end
redis.call('HSET', cases, number, new)
local ends = ends_of(new)
if ends > 0 then
  local left = math.ceil(ends - now / 1000) + 86400
  for _, key in ipairs({cases, order}) do last(key, left) end
end
return {'1'}
