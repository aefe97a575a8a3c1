# SPDX-License-Identifier: MIT OR Apache-2.0
# Each of these by itself, then each between marks, and first of those nothing at all, which is what tracing costs.
all='bench=xvda,random,1,4096,2000 bench=xvda,random,32,4096,10000 write=xvda,random,32,4096,10000
bench=xvda,sequential,4,65536,1500 write=xvda,sequential,4,65536,1500'
words=$(echo $all)
for word in bench=xvda,random,1,4096,0 $all; do
    words="$words mark=begin $word mark=end"
done
front "$words" "'vdev=xvda,format=raw,backend=$GUEST,target=xvda'" ''
GUEST=front
DOMID=$(xl domid front)
