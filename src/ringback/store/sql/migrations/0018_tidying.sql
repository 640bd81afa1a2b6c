-- Tables that change all the time are tidied up often: what has left a queue is stepped over by each claim until then.
-- {tidied_often} is for databases that leave such rows behind.

{tidied_often};
