-- Says that a replica is alive, and forgets those that are not.
--
-- KEYS[1]: replicas as in `take.lua`. ARGV: the replica, for how many seconds.
-- Answers whether it was taken to be alive: if not, others may have taken off what it held.
local now = tonumber(redis.call('TIME')[1])
local until_when = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2] * 10)
return until_when and until_when >= now and 1 or 0
