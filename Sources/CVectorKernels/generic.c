// The kernels for any processor of the target architecture.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "VectorKernels.h"

#define VK_NAME generic
#include "bodies/table.h"
