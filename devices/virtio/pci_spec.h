/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef DEVICES_VIRTIO_PCI_SPEC_H
#define DEVICES_VIRTIO_PCI_SPEC_H

/* Numbers and layouts of virtio 1.2 §4.1, the PCI transport. */

#define VIRTIO_PCI_VENDOR                   0x1af4
#define VIRTIO_PCI_DEVICE(type)             (0x1040 + (type)) /* §4.1.2: not transitional */

/* §4.1.4 structures, and the vendor capability that says where each is */
#define VIRTIO_PCI_CAP_COMMON               1
#define VIRTIO_PCI_CAP_NOTIFY               2
#define VIRTIO_PCI_CAP_ISR                  3
#define VIRTIO_PCI_CAP_DEVICE               4
#define VIRTIO_PCI_CAP_PCI                  5

#define VIRTIO_PCI_CAP_LEN                  16 /* of most */
#define VIRTIO_PCI_CAP_LONG                 20 /* of notify (multiplier) and PCI access (data) */
#define VIRTIO_PCI_CAP_AT_CAP_LEN           2
#define VIRTIO_PCI_CAP_AT_TYPE              3
#define VIRTIO_PCI_CAP_AT_BAR               4
#define VIRTIO_PCI_CAP_AT_OFFSET            8
#define VIRTIO_PCI_CAP_AT_LENGTH            12
#define VIRTIO_PCI_CAP_AT_MULTIPLY          16 /* notify_off_multiplier */
#define VIRTIO_PCI_CAP_AT_DATA              16 /* pci_cfg_data */

/* §4.1.4.3 common configuration */
#define VIRTIO_COMMON_DEVICE_FEATURE_SELECT 0x00
#define VIRTIO_COMMON_DEVICE_FEATURE        0x04
#define VIRTIO_COMMON_DRIVER_FEATURE_SELECT 0x08
#define VIRTIO_COMMON_DRIVER_FEATURE        0x0c
#define VIRTIO_COMMON_CONFIG_VECTOR         0x10
#define VIRTIO_COMMON_NUM_QUEUES            0x12
#define VIRTIO_COMMON_STATUS                0x14
#define VIRTIO_COMMON_GENERATION            0x15
#define VIRTIO_COMMON_QUEUE_SELECT          0x16
#define VIRTIO_COMMON_QUEUE_SIZE            0x18
#define VIRTIO_COMMON_QUEUE_VECTOR          0x1a
#define VIRTIO_COMMON_QUEUE_ENABLE          0x1c
#define VIRTIO_COMMON_QUEUE_NOTIFY_OFF      0x1e
#define VIRTIO_COMMON_QUEUE_DESC            0x20
#define VIRTIO_COMMON_QUEUE_AVAIL           0x28
#define VIRTIO_COMMON_QUEUE_USED            0x30
#define VIRTIO_COMMON_QUEUE_NOTIFY_DATA     0x38
#define VIRTIO_COMMON_QUEUE_RESET           0x3a
#define VIRTIO_COMMON_LEN                   0x3c

/* §4.1.4.10 legacy interface */
#define VIRTIO_LEGACY_DEVICE_FEATURES       0
#define VIRTIO_LEGACY_DRIVER_FEATURES       4
#define VIRTIO_LEGACY_QUEUE_PFN             8
#define VIRTIO_LEGACY_QUEUE_SIZE            12
#define VIRTIO_LEGACY_QUEUE_SELECT          14
#define VIRTIO_LEGACY_QUEUE_NOTIFY          16
#define VIRTIO_LEGACY_STATUS                18
#define VIRTIO_LEGACY_ISR                   19
#define VIRTIO_LEGACY_CONFIG                20 /* device configuration, or while MSI-X is enabled: */
#define VIRTIO_LEGACY_CONFIG_VECTOR         20
#define VIRTIO_LEGACY_QUEUE_VECTOR          22
#define VIRTIO_LEGACY_CONFIG_MSIX           24
#define VIRTIO_LEGACY_PAGE                  4096 /* unit of the PFN, and alignment of the used ring */

#define VIRTIO_PCI_NO_VECTOR                0xffff
#define VIRTIO_PCI_ISR_QUEUE                1
#define VIRTIO_PCI_ISR_CONFIG               2

#endif
