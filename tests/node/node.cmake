# The node tier: tests that run in node VMs, which ctest boots once and ends after the last of their tests.
# There are two, since a test on a node waits more than it computes: MVM_NODE_VM, set where a folder's tests are added, says in which.
# The tests of one run one at a time, in the order of their names where nothing else is said, on a node that each must leave as it was.
set(MVM_NODE_VM node)

# Made once for a machine, while other tests run.
add_test(NAME node.image COMMAND ${CMAKE_CURRENT_LIST_DIR}/image.sh)
set_tests_properties(node.image PROPERTIES FIXTURES_SETUP node_image LABELS node TIMEOUT 600)

function(node_vm name)
  set(env ${CMAKE_COMMAND} -E env MVM_BUILD=${CMAKE_BINARY_DIR} MVM_NODE=${name} ${CMAKE_SOURCE_DIR}/dev node)
  add_test(NAME ${name}.up COMMAND ${env} up --cpus 1)
  set_tests_properties(${name}.up PROPERTIES FIXTURES_SETUP ${name}_vm FIXTURES_REQUIRED node_image LABELS node TIMEOUT 600 RUN_SERIAL ON)
  add_test(NAME ${name}.down COMMAND ${env} down)
  set_tests_properties(${name}.down PROPERTIES FIXTURES_CLEANUP ${name}_vm LABELS node TIMEOUT 60)
endfunction()
node_vm(node)
node_vm(second)

# node_stage(DESTINATION dir [TARGETS t...] [PROGRAMS f...] [FILES f...])
# Puts test's tools into the VM, and nowhere else. DESTINATION tests is /opt/mvm-stage/tests; root/usr/... is laid over /usr/...
function(node_stage)
  cmake_parse_arguments(S "" "DESTINATION" "TARGETS;PROGRAMS;FILES" ${ARGN})
  foreach(kind TARGETS PROGRAMS FILES)
    if(S_${kind})
      install(${kind} ${S_${kind}} DESTINATION ${S_DESTINATION} COMPONENT node EXCLUDE_FROM_ALL)
    endif()
  endforeach()
endfunction()

# add_node_test(NAME name COMMAND word... [TIMEOUT seconds] [HOST])
# Passes when the command exits 0 in the VM, where it is root, in /root, without stdin. With HOST it runs here, finds the VM by
# `$MVM_DEV node exec ...`, and may cut the VM's power.
function(add_node_test)
  cmake_parse_arguments(T "HOST" "NAME;TIMEOUT" "COMMAND" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  set(env ${CMAKE_COMMAND} -E env MVM_BUILD=${CMAKE_BINARY_DIR} MVM_NODE=${MVM_NODE_VM} MVM_DEV=${CMAKE_SOURCE_DIR}/dev)
  if(T_HOST)
    add_test(NAME node.${T_NAME} COMMAND ${env} ${T_COMMAND})
  else()
    add_test(NAME node.${T_NAME} COMMAND ${env} ${CMAKE_SOURCE_DIR}/dev node exec --revive --no-stdin --timeout ${T_TIMEOUT} -- ${T_COMMAND})
  endif()
  math(EXPR limit "2 * ${T_TIMEOUT} + 300")  # a VM that hangs is started again, once
  set_tests_properties(node.${T_NAME} PROPERTIES LABELS node FIXTURES_REQUIRED ${MVM_NODE_VM}_vm RESOURCE_LOCK ${MVM_NODE_VM}_vm TIMEOUT ${limit})
endfunction()

# add_node_gtest(name SOURCES a.cc... LINKS lib... [TIMEOUT seconds])
# A GoogleTest program whose cases are listed here and run in the VM, each as a test of its own.
function(add_node_gtest name)
  cmake_parse_arguments(T "" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(${name} ${T_SOURCES})
  link_test(${name} ${T_LINKS})
  node_stage(TARGETS ${name} DESTINATION tests)
  set_target_properties(${name} PROPERTIES CROSSCOMPILING_EMULATOR "${CMAKE_SOURCE_DIR}/tests/node/run-gtest.sh;${CMAKE_BINARY_DIR};${MVM_NODE_VM}")
  gtest_discover_tests(${name} TEST_PREFIX node. DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS node FIXTURES_REQUIRED ${MVM_NODE_VM}_vm RESOURCE_LOCK ${MVM_NODE_VM}_vm TIMEOUT ${T_TIMEOUT})
endfunction()
