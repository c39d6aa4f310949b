// Owned<T, free>: a C library's object and the one function that ends it.
#pragma once

#include <memory>

namespace mvm {

template <auto kFree>
struct CallFree {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

template <class T, auto kFree>
using Owned = std::unique_ptr<T, CallFree<kFree>>;

}  // namespace mvm
