-- Put before the scripts of budgets. Their first keys: reservations by id, when each ends, what is held of each sum.
local OPEN, ENDS, HELD = KEYS[1], KEYS[2], KEYS[3]
-- Only this server's clock counts.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- Gives back what a reservation holds; nothing where it is gone.
local function release(reservation)
  local record = redis.call('HGET', OPEN, reservation)
  if record then
    local held = cjson.decode(record)['held']
    for i = 1, #held, 2 do
      -- Of a budget that is used up exactly nothing may be held, and minus nothing is no number to the server.
      local change = held[i + 1] == '0' and '0' or '-' .. held[i + 1]
      if redis.call('HINCRBY', HELD, held[i], change) <= 0 then redis.call('HDEL', HELD, held[i]) end
    end
    redis.call('HDEL', OPEN, reservation)
  end
  redis.call('ZREM', ENDS, reservation)
end

