/// The hot loops of the project in C: the headers below, one per subject.
#ifndef CVECTORKERNELS_H
#define CVECTORKERNELS_H

#include "VectorKernels.h"
#include "RandomKernels.h"

#endif
