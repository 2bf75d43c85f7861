# find_package(lavoro) gives lavoro::lavoro (shared) and lavoro::static.
get_filename_component(_lavoro_lib "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
get_filename_component(_lavoro_include "${_lavoro_lib}/../include" ABSOLUTE)
if(NOT TARGET lavoro::lavoro)
  add_library(lavoro::lavoro SHARED IMPORTED)
  set_target_properties(lavoro::lavoro PROPERTIES
    IMPORTED_LOCATION "${_lavoro_lib}/liblavoro.so.1"
    INTERFACE_INCLUDE_DIRECTORIES "${_lavoro_include}")
  add_library(lavoro::static STATIC IMPORTED)
  set_target_properties(lavoro::static PROPERTIES
    IMPORTED_LOCATION "${_lavoro_lib}/liblavoro.a"
    INTERFACE_LINK_LIBRARIES "pthread;dl;m"
    INTERFACE_INCLUDE_DIRECTORIES "${_lavoro_include}")
endif()
