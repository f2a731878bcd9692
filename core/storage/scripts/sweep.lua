-- The conversations of one partition that have work and no living lease. KEYS: the set; ARGV: most, worker's own too (1) or not.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
return redis.call('ZRANGE', KEYS[1], '-inf', ARGV[2] == '1' and '+inf' or now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
